"""What would be or would have been: decisions tried again, starts and followings told before they happen."""
