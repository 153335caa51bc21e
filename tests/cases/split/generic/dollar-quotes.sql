SELECT $$;$$, $tag$ ; $$ ; $tag$, $1, a$b$;
SELECT 2;
