"""How the embedded model was made: data, training, measuring, export. The package never imports this."""
