SELECT 'it\'s; one', 'a\\'; SELECT '\\\'; still one';
SELECT "no escape \"; SELECT 'over\
two lines;';
SELECT 'doubled ''; and \'; both';
