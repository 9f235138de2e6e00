"""The main job done unattended: a simulated person uses the application through its own forms.

The person acts only by requests that a browser could send; rows are read to see what came of them.
"""
