"""Who is who: weights, vetoes and joins over plain records; no database, no files but the lists shipped beside it."""
