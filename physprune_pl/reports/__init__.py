"""What a fit tells at its end: the report, tables, pictures, pages."""
