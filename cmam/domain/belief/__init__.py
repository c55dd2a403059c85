"""What is believed of one account, as one immutable value: copies, requests, positions, shares of nets."""
