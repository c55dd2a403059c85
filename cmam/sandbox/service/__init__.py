"""The broker towards its clients: connections, sessions, limits, refusals, troubles; pure, messages in and out."""
