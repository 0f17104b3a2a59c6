"""What a run is watched with: marks on channels, calls read by their row, and the notes of what was seen."""
