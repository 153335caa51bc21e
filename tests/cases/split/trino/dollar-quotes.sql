SELECT $$;$$, $$it's; "x$$;
SELECT $tag$ ; $$ ; $tagg$ ; $ta$ ; $tag$;
SELECT $é$;$é$, $_1$;$_1$, $a$$b$;$a$;
SELECT $1, $2$3; SELECT $1$;
SELECT a$b$c; SELECT a$$; SELECT $ 1;
SELECT 1$a$;$a$;
SELECT $$
-- '; /*
$$;
SELECT 4;
