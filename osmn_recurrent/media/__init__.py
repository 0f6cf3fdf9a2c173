"""What people's files look like: frames, videos and masks in and out."""
