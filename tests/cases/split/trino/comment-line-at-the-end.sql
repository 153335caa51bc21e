SELECT 1
-- ; behind it
