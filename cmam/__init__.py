"""cmam copies trades between cTrader accounts through the Spotware Open API."""

__version__ = "0.1.0"
