"""The chapter's claims as studies. Each study trains or computes, draws, and says whether its conclusions hold."""
