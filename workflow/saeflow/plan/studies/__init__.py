"""What each study needs: its rows, the measures behind each table, the table behind each figure."""
