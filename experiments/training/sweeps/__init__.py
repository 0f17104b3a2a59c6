"""Many runs: the table, the summary and the pictures of a sweep."""
