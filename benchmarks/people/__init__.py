"""Does a person's feedback move the model to them? Simulated people, real answers, fresh prompts."""
