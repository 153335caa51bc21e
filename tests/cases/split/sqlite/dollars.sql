SELECT $$;$$;
SELECT $a, a$b$;
SELECT $x$;
