"""Work in a team on the one mailbox: tasks, comments, topics, and who has seen what."""
