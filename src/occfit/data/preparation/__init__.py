"""From raw photographs to prepared stores: aligned in chunks by several processes, resumable, nothing left out
silently."""
