"""What a model's own files make of messages and text: its chat template and its tokenizer."""
