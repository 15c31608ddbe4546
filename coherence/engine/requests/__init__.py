"""From measurements to rows: jobs, prompts, conversations and teacher-forced replies."""
