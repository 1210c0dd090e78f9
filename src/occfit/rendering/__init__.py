"""From the parameters of a face to its picture: camera, normals, illumination, rasterize, renderer."""
