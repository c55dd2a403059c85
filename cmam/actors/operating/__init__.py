"""The system as a whole: who runs it, its tokens, commands from other terminals, its orderly end."""
