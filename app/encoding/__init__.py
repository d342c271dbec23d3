"""Long clips: fitted segment by segment, on this machine or on many, and joined into one .nerv file."""
