"""Raw photographs of a data set, one file a source; `occfit prepare` makes prepared stores from them."""
