"""The studies, one package or module each: everything that belongs to one study is there."""
