SELECT $$a;b$$, $$it's -- no; comment$$, $$$$;
SELECT $1, $2 FROM @stage; SELECT $var; SELECT a$b, c$$;
SET x = $$;'"//$$;
SELECT $tag$; SELECT $tag$;
CREATE FUNCTION f() RETURNS INT LANGUAGE JAVASCRIPT AS $$ var a = "x;"; // it's
return 1; $tag$ $$; SELECT 1;
