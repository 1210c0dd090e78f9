"""What lies on a face's surface that the morphable model can't express."""
