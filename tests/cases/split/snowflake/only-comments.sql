-- one
/* two */
-- three