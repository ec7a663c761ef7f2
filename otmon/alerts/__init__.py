"""What is said of violations: episodes, their sentence, their record."""
