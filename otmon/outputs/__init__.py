"""What a run leaves behind: the result folder, its records, and the summary on the terminal."""
