import js from '@eslint/js'
import a11y from 'eslint-plugin-jsx-a11y'
import hooks from 'eslint-plugin-react-hooks'
import ts from 'typescript-eslint'

export default ts.config(
  { ignores: ['node_modules', 'src/api/schema.d.ts', 'src/generated'] },
  js.configs.recommended,
  { files: ['scripts/*.mjs'], languageOptions: { globals: { console: 'readonly', process: 'readonly', URL: 'readonly' } } },
  {
    files: ['src/**/*.{ts,tsx}'],
    extends: [ts.configs.strict, a11y.flatConfigs.strict, hooks.configs.flat['recommended-latest']],
    rules: {
      'max-lines': ['error', 300],
      'no-console': 'error',
      'no-restricted-properties': ['error', { object: 'document', property: 'cookie', message: 'The credential is never a cookie.' }],
      '@typescript-eslint/no-invalid-void-type': 'off',
    },
  },
)
