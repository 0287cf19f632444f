import { Anchor, Button, PasswordInput, Stack, TextInput } from '@mantine/core'
import { useEffect, useState } from 'react'
import { Link, useLocation } from 'wouter'
import { useAction } from '~/api/action'
import { post } from '~/api/client'
import { useGet } from '~/api/get'
import { byPassword } from '~/api/login'
import type { Shape } from '~/api/types'
import { Door } from '~/layout/door'
import { useSubject } from '~/layout/routes'
import { ErrorBox } from '~/parts/ErrorBox'
import { Snippet } from '~/parts/Snippet'

/** Where one becomes a user: by an invitation, whose secret is in the address, or by oneself where that is open. */
export default function SignUp() {
  const invited = useInvitation()
  const { data: doors } = useGet('/v1/login')
  const [made, setMade] = useState<{ user: Shape<'SignedUp'>; password: string }>()
  if (made) return <Welcome {...made} />
  const closed = doors && doors.sign_up !== 'open' && !invited
  const foot = (
    <p>
      A user already?{' '}
      <Anchor component={Link} href="/login" size="sm">
        Log in
      </Anchor>
    </p>
  )
  return (
    <Door
      title={invited ? 'You are invited' : 'Sign up'}
      foot={foot}
      about={closed ? 'One signs up here by invitation. Ask the owner of this installation for a link.' : invited ? 'Whoever is a user here already gives her own password and joins as well.' : undefined}
    >
      {!closed && <Form invitation={invited} onMade={(user, password) => setMade({ user, password })} />}
    </Door>
  )
}

/** The secret of the link: a part of the path, or behind "#", which leaves the address at once. */
function useInvitation(): string {
  const subject = useSubject()
  const [hash] = useState(() => location.hash.slice(1))
  useEffect(() => {
    if (hash) history.replaceState(null, '', location.pathname)
  }, [hash])
  return subject || hash
}

function Form({ invitation, onMade }: { invitation: string; onMade: (user: Shape<'SignedUp'>, password: string) => void }) {
  const [email, setEmail] = useState('')
  const [name, setName] = useState('')
  const [password, setPassword] = useState('')
  const sign = useAction(() => post('/v1/signup', { email: email.trim(), name: name.trim(), password, invitation }), {
    quiet: true,
    then: (user) => onMade(user, password),
  })
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        void sign.run()
      }}
    >
      <ErrorBox error={sign.error} />
      <TextInput label="E-mail address" type="email" autoComplete="email" required withAsterisk={false} value={email} onChange={(event) => setEmail(event.currentTarget.value)} />
      <TextInput label="Name" description="Short, in small letters; may be left out" autoComplete="username" pattern="[a-z][a-z0-9_\-]{0,31}" value={name} onChange={(event) => setName(event.currentTarget.value)} />
      <PasswordInput label="Password" description="10 characters or more" autoComplete="new-password" minLength={10} required withAsterisk={false} value={password} onChange={(event) => setPassword(event.currentTarget.value)} visibilityToggleButtonProps={{ 'aria-label': 'Show the password' }} />
      <Button type="submit" size="sm" loading={sign.busy}>
        Sign up
      </Button>
    </form>
  )
}

function Welcome({ user, password }: { user: Shape<'SignedUp'>; password: string }) {
  const [, go] = useLocation()
  const enter = useAction(() => byPassword(user.user, password, user.account), { then: () => go('/', { replace: true }) })
  return (
    <Door title={`Welcome, ${user.user}`} about={`You belong to the account ${user.account}. In a shell of your machine type this; the secret is shown only now.`}>
      <Stack mt="md">
        <Snippet code={`picloud setup ${location.origin} -a ${user.api_key} -k ${user.api_secretkey}`} />
        <Button size="sm" loading={enter.busy} onClick={() => void enter.run()}>
          Open the dashboard
        </Button>
      </Stack>
    </Door>
  )
}
