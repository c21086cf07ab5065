"""How tasks get to annotators and annotations back: JSON, COCO and Label Studio."""
