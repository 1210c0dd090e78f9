"""How a system does on photographs, as they are and behind painted occluders of known shape."""
