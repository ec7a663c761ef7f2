"""What another decoder says of the same capture: tshark beside otmon, field by field."""
