"""The report of one run: a static page and the same in Markdown, from git-tracked results alone."""
