"""How far to press: to an end that rounding swallows, or on to the end of the range of numbers."""
