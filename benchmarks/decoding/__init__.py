"""Does spending more tokens on an answer, chosen by a person's own reward, bring it closer to them?"""
