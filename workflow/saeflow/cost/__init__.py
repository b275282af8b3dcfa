"""What a configuration will cost before any of it runs: rows, bytes, files, minutes, memory."""
