SELECT 1 /* outer; /* inner; */ + 1; SELECT 2 */ ;
