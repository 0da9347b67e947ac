"""``python -m sk_mer.paper``."""

from .commands import main

if __name__ == "__main__":
    main()
