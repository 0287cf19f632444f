import { Anchor, Button, Divider, PasswordInput, TextInput } from '@mantine/core'
import { useContext, useEffect, useRef, useState } from 'react'
import { Link, Redirect, useLocation } from 'wouter'
import { useAction } from '~/api/action'
import { type ApiError, asError } from '~/api/error'
import { useGet } from '~/api/get'
import { beginOidc, byPassword, finishOidc } from '~/api/login'
import { useToken, wanted } from '~/api/session'
import { Door } from '~/layout/door'
import { ErrorBox } from '~/parts/ErrorBox'
import { Snippet } from '~/parts/Snippet'
import { Refused } from './refused'

/** All ways in: a password, a one-time link of the terminal, a login elsewhere. */
export default function Login() {
  const token = useToken()
  const { data: doors } = useGet('/v1/login')
  const back = useReturn()
  if (token) return <Redirect to={wanted()} replace />
  const foot = (
    <>
      {/* The words are those of the command line's own help. */}
      <p>On the machine of the server, or wherever picloud is set up, this prints a link that logs you in once:</p>
      <Snippet code="picloud status --login" />
      {doors?.sign_up === 'open' && (
        <p style={{ marginTop: '1rem' }}>
          Nobody yet?{' '}
          <Anchor component={Link} href="/signup" size="sm">
            Sign up
          </Anchor>
        </p>
      )}
    </>
  )
  return (
    <Door title="Log in" foot={foot}>
      {back.under ? <p role="status">One moment…</p> : <ByPassword former={back.error} />}
      {doors?.oidc && !back.under && <Elsewhere />}
    </Door>
  )
}

function ByPassword({ former }: { former: ApiError | undefined }) {
  const refused = useContext(Refused)
  const [user, setUser] = useState('')
  const [password, setPassword] = useState('')
  const enter = useAction(() => byPassword(user.trim(), password), { quiet: true })
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        void enter.run()
      }}
    >
      <ErrorBox error={enter.error ?? former ?? refused} />
      <TextInput label="Name or e-mail address" autoComplete="username" required withAsterisk={false} value={user} onChange={(event) => setUser(event.currentTarget.value)} />
      <PasswordInput label="Password" autoComplete="current-password" required withAsterisk={false} value={password} onChange={(event) => setPassword(event.currentTarget.value)} visibilityToggleButtonProps={{ 'aria-label': 'Show the password' }} />
      <Button type="submit" size="sm" loading={enter.busy}>
        Log in
      </Button>
    </form>
  )
}

function Elsewhere() {
  const begin = useAction(beginOidc)
  return (
    <>
      <Divider label="or" my="md" />
      <Button variant="default" size="sm" fullWidth loading={begin.busy} onClick={() => void begin.run()}>
        Log in by OpenID Connect
      </Button>
    </>
  )
}

/** Somebody who comes back from a provider: its answer is in the address, is taken out of it, and used once. */
function useReturn(): { under: boolean; error: ApiError | undefined } {
  const [, go] = useLocation()
  const [search] = useState(() => (new URLSearchParams(location.search).has('state') ? location.search : ''))
  const [error, setError] = useState<ApiError>()
  const begun = useRef(false)
  useEffect(() => {
    if (!search || begun.current) return
    begun.current = true
    history.replaceState(null, '', location.pathname)
    finishOidc(search).then(
      (next) => next && go(next, { replace: true }),
      (thrown: unknown) => setError(asError(thrown)),
    )
  }, [search, go])
  return { under: search !== '' && !error, error }
}
