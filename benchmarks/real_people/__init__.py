"""Does a real person's feedback tell what the same person prefers in another conversation?"""
