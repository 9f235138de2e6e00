"""How much further do few ratings go beside a prior from other people, and does it tell who they are?"""
