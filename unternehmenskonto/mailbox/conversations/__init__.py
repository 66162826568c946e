"""What a company writes to authorities: drafts, replies, messages of its own, and the proofs that they were sent."""
