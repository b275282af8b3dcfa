"""What single features and sets of them do to answers."""
