"""What a server of a release is asked over HTTP: only the URL that was named, within its limits."""
