"""The chapter's claims as studies: each runs, draws, and says whether its conclusion holds."""
