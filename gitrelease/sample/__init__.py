"""A small workspace to try gitrelease with: data files only, which `gitrelease demo` copies."""
