"""TempCompass (arXiv 2403.00476) exactly as published: its questions, prompts, matching rules, figures and files.

Nothing here reads a model or imports torch. The rules are those of the scripts of llyx97/TempCompass at e1b4631.
"""
