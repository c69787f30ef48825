"""The admin API: what is live, who has it, what was refused. Problem documents, bearer token, no secrets out."""
