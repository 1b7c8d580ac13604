"""Noticing a block before anybody asks: sources that are read again and again, and one alert for what they report."""
